"""Training: one run from a model and two image indexes to weights, numbers and pictures.

`Trainer.update` is the whole step on one page. Everything that a step depends on is either in the model, in
`Progress`, or a pure function of (seed, epoch, index), which is why a killed run resumes bit for bit.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yolov12.checkpoint import ModelFile, write_model_file
from yolov12.config.parse import Resolved, round_up_to_stride
from yolov12.config.run import TrainConfig, ValConfig
from yolov12.data.contract import contract
from yolov12.data.index import ImageIndex
from yolov12.data.loader import TrainLoader
from yolov12.data.sample import Batch
from yolov12.engine.batch_picture import draw_batch
from yolov12.engine.display import EpochDisplay
from yolov12.engine.ema import WeightAverage
from yolov12.engine.logger import RunLogger
from yolov12.engine.optim import Schedule, build_optimizer, nominal_iterations
from yolov12.engine.signals import StopRequest, stop_request
from yolov12.engine.training_state import Parts, Progress, load_state, save_state
from yolov12.errors import Interrupted, TrainingError
from yolov12.evaluation.curves import draw_metrics
from yolov12.evaluation.evaluator import evaluate
from yolov12.folders import write_json
from yolov12.inference.memory import keep_freed_memory
from yolov12.inference.torch_runtime import TorchRuntime, native_half
from yolov12.losses.base import Gains, LossChoices
from yolov12.losses.criterion import Criterion
from yolov12.metrics import Metrics
from yolov12.models.checkpoint_map import official_layer_prefixes
from yolov12.models.detector import Detector
from yolov12.version import __version__

LAST, BEST = "last.safetensors", "best.safetensors"
SAMPLE_PICTURES = 3
"""Training batches that are drawn into the run folder."""
MAX_BAD_STREAK = 10
"""Skipped updates in a row after which the run goes back to its last saved state, once, at half the rate."""


@dataclass(frozen=True)
class TrainJob:
    """What to train, on what, with which options, into which folder."""

    model: Detector
    names: Mapping[int, str]
    resolved: Resolved[TrainConfig]
    train: ImageIndex
    val: ImageIndex
    folder: Path
    device: torch.device
    run: Mapping[str, Any]
    """Description of the run, stored with its state (options and origins, model, data fingerprint)."""


class Trainer:
    """Owns the mutable parts of one run: weights, their average, optimizer and counters."""

    def __init__(self, job: TrainJob, *, resume: bool = False) -> None:
        config = job.resolved.config
        self.job, self.config = job, config
        if job.device.type == "cpu":
            keep_freed_memory()
        self.weights = job.folder / "weights"
        self.weights.mkdir(exist_ok=True)
        self.model = job.model.to(job.device)
        self.model = self.model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        freeze(self.model, config.freeze)
        self.task = job.model.config.task
        self.loader = TrainLoader(job.train, config, task=self.task, pin_memory=job.device.type == "cuda")
        steps = self.loader.steps_per_epoch
        iterations = nominal_iterations(len(job.train), config)
        self.optimizer = build_optimizer(self.model, config, job.model.config.num_classes, iterations)
        self.schedule = Schedule.from_config(config, self.optimizer, steps)
        gains = Gains(config.box, config.cls, config.dfl, config.pose, config.kobj)
        choices = LossChoices(
            config.cls_loss,
            config.iou_loss,
            config.mask_loss,
            config.iou_aware,
            config.negatives,
            config.label_smoothing,
        )
        self.criterion = Criterion(job.model.config, gains, config.rules, choices)
        self.average = WeightAverage(self.model, config.ema_decay, config.ema_tau)
        self.half = native_half(job.device) if config.amp else None
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=self.half is torch.float16)
        self.parts = Parts(self.model, self.average, self.optimizer, self.scaler)
        self.progress = Progress()
        self.recent: list[dict[str, Tensor]] = []
        self.logger = RunLogger(job.folder, self.task)
        self.statistics = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
        self.good_statistics = [buffer.clone() for buffer in self.statistics]
        if resume:
            self.progress = load_state(self.weights, self.parts)
            self.logger.truncate(self.progress.epoch)
            self.remember_statistics()
        else:
            self.save_weights(LAST, None)  # a run can be resumed by this file from its first step on
            self.save_state()

    # ---- the step -------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Gained loss terms of one batch, each a scalar averaged as in the reference (not multiplied by B)."""
        device = self.job.device
        images = batch.images.to(device, non_blocking=True).to(memory_format=torch.channels_last).float() / 255
        with torch.autocast(device.type, dtype=self.half, enabled=self.half is not None):
            outputs = self.model(images)
        return self.criterion(outputs, batch.targets.to(device))

    def update(self, batch: Batch) -> None:
        """Forward, backward and, when enough batches have been accumulated, one optimizer step."""
        progress = self.progress
        self.schedule.apply(self.optimizer, progress.iteration, progress.rate_scale)
        terms = self.losses(batch)
        total = self.criterion.total(terms, len(batch.images))
        torch.autograd.backward(self.scaler.scale(total))
        if progress.iteration - progress.last_update >= self.schedule.accumulate(progress.iteration):
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
            if torch.isfinite(norm):  # waits for the device
                self.scaler.step(self.optimizer)
                self.average.update(self.model)
                self.remember_statistics()
                progress.bad_streak = 0
            else:
                self.restore_statistics()
                progress.skipped_updates += 1
                progress.bad_streak += 1
            self.scaler.update()
            self.optimizer.zero_grad(set_to_none=True)
            progress.last_update = progress.iteration
        progress.iteration += 1
        progress.batch += 1
        self.recent.append({name: term.detach() for name, term in terms.items()})

    # ---- the run --------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.job.folder

    def run(self) -> Metrics:
        """Train until the last epoch or early stopping; returns the metrics of the averaged weights at the end."""
        metrics: Metrics | None = None
        display = EpochDisplay(self.config.epochs, self.loader.steps_per_epoch)
        with self.loader, stop_request() as stop, display:
            while not self.progress.finished:
                started, done = time.perf_counter(), self.progress.batch
                self.train_epoch(stop, display)
                share = max(self.loader.steps_per_epoch - done, 1) / self.loader.steps_per_epoch  # below 1 when resumed
                metrics = self.finish_epoch(stop, (time.perf_counter() - started) / share)
                display.end_epoch(self.progress.epoch - 1, self.logger.last_row)
        if self.loader.unreadable:
            first = next(iter(self.loader.unreadable.values()))
            print(
                f"warning: {len(self.loader.unreadable)} images became unreadable during training, e.g. {first}",
                file=sys.stderr,
            )
        metrics = metrics if metrics is not None else self.evaluate()
        metrics.save_dir = self.folder
        write_json(self.folder / "metrics.json", metrics.to_dict())
        if self.config.plots:
            self.logger.draw()
            draw_metrics(metrics, self.folder)
        return metrics

    def train_epoch(self, stop: StopRequest, display: EpochDisplay) -> None:
        """The rest of the current epoch; raises Interrupted after saving when a signal asked to stop."""
        progress, config = self.progress, self.config
        for batch in self.loader.epoch(progress.epoch, progress.batch):
            if config.plots and progress.iteration < SAMPLE_PICTURES:
                draw_batch(batch, self.job.names, self.job.folder / f"train_batch{progress.iteration}.jpg")
            self.update(batch)
            if progress.bad_streak >= MAX_BAD_STREAK:
                self.go_back()
            if config.save_steps and progress.iteration % config.save_steps == 0:
                self.save_state()
            if display.due():
                self.collect_losses()
                display.step(progress.batch, progress.loss_sums)
            if stop.signal_number is not None:
                self.save_state()
                raise self.interrupted(stop.signal_number)

    def finish_epoch(self, stop: StopRequest, seconds: float) -> Metrics | None:
        """Evaluate, record the epoch and write the weights; decides whether the run is over."""
        progress, config = self.progress, self.config
        last = progress.epoch + 1 >= config.epochs
        metrics = None
        if config.val or last:
            self.save_state()  # so that a signal during the evaluation loses nothing
            with stop.at_once(self.interrupted):
                metrics = self.evaluate()
        self.collect_losses()
        fitness = metrics.fitness if metrics is not None else -1.0
        improved = fitness > progress.best_fitness
        if improved:
            progress.best_fitness, progress.best_epoch = fitness, progress.epoch
        sums = self.criterion.in_order(progress.loss_sums)  # a state that was read has them by the alphabet
        losses = {name: total / max(progress.batch, 1) for name, total in sums.items()}
        groups = range(len(self.optimizer.param_groups))
        rates = [self.schedule.lr(group, progress.iteration - 1) * progress.rate_scale for group in groups]
        images_per_second = len(self.job.train) / seconds
        self.logger.log(progress.epoch, losses, metrics, rates, seconds, images_per_second)
        patience_over = bool(config.patience) and progress.epoch - progress.best_epoch >= config.patience
        progress.finished = last or (config.val and patience_over)
        progress.epoch, progress.batch, progress.loss_sums = progress.epoch + 1, 0, {}
        self.save_state()
        self.save_weights(LAST, metrics)
        if improved or not config.val:
            self.save_weights(BEST, metrics)
        return metrics

    def evaluate(self) -> Metrics:
        """Score the averaged weights on the validation split with the same letterbox as `predict`."""
        config = self.config
        runtime = TorchRuntime(self.average.model, device=str(self.job.device), precision="fp32")
        options = ValConfig(
            imgsz=round_up_to_stride(config.imgsz),
            batch=config.batch,
            single_cls=config.single_cls,
            on_bad_label=config.on_bad_label,
            max_pixels=config.max_pixels,
            verbose=False,
        )
        return evaluate(runtime, self.job.val, options, self.task)

    def collect_losses(self) -> None:
        """Add the loss terms of recent batches to this epoch's sums, in order, so that sums do not depend on when.

        A term that is not finite counts as 0: its step is skipped, and a saved state holds finite numbers only.
        """
        for terms in self.recent:
            for name, term in terms.items():
                value = float(term)
                before = self.progress.loss_sums.get(name, 0.0)
                self.progress.loss_sums[name] = before + (value if math.isfinite(value) else 0.0)
        self.recent.clear()

    def interrupted(self, signal_number: int) -> Interrupted:
        """What a stop signal ends in."""
        return Interrupted(
            f"stopped by signal {signal_number} in epoch {self.progress.epoch + 1}, batch {self.progress.batch}; the "
            f"state is saved, go on with: yolov12 train --resume --model {self.weights / LAST}",
            signal_number,
        )

    # ---- files ----------------------------------------------------------------------------------------------------

    def save_state(self) -> None:
        """Everything that a resumed run needs."""
        self.collect_losses()
        save_state(self.weights, self.parts, self.progress, self.job.run)

    def save_weights(self, name: str, metrics: Metrics | None) -> None:
        """The averaged weights as a model file, float32."""
        job = self.job
        metadata = {
            "task": job.model.config.task,
            "variant": job.model.config.variant,
            "layout": job.model.config.layout,
            "preprocess": contract(self.task),
            "training": job.run,
            "epoch": self.progress.epoch,
            "metrics": metrics.results_dict if metrics is not None else {},
            "licence": job.run["licence"],
            "version": __version__,
        }
        state = {key: value.detach().cpu() for key, value in self.average.model.state_dict().items()}
        write_model_file(self.weights / name, ModelFile(job.model.config, state, dict(job.names), metadata))

    # ---- numeric accidents ----------------------------------------------------------------------------------------

    def remember_statistics(self) -> None:
        """Keep a copy of the batch-norm statistics of the last good step."""
        torch._foreach_copy_(self.good_statistics, self.statistics)

    def restore_statistics(self) -> None:
        """Undo what non-finite batches did to the batch-norm statistics."""
        torch._foreach_copy_(self.statistics, self.good_statistics)

    def go_back(self) -> None:
        """Return to the last saved state at half the learning rate, once; then give up. Nothing bad is ever saved."""
        if self.progress.rate_scale < 1.0:
            raise TrainingError(
                f"{MAX_BAD_STREAK} optimizer steps in a row had non-finite gradients, also after going back once at "
                f"half the learning rate. The last good state is kept in {self.weights}. Lower --lr0 or use --no-amp"
            )
        self.collect_losses()
        skipped = self.progress.skipped_updates
        position = (self.progress.epoch, self.progress.batch, self.progress.iteration, dict(self.progress.loss_sums))
        self.progress = load_state(self.weights, self.parts)
        self.progress.rate_scale, self.progress.skipped_updates, self.progress.bad_streak = 0.5, skipped, 0
        self.progress.epoch, self.progress.batch, self.progress.iteration, self.progress.loss_sums = position
        self.progress.last_update = self.progress.iteration - 1
        self.optimizer.zero_grad(set_to_none=True)
        self.remember_statistics()


def freeze(model: Detector, layers: int) -> list[nn.Module]:
    """Stop the first `layers` layers (official numbering) from training; returns their modules."""
    if not layers:
        return []
    prefixes = [prefix for layer, prefix in official_layer_prefixes(model.config).items() if layer < layers]
    modules = [model.get_submodule(prefix) for prefix in prefixes]
    for module in modules:
        module.requires_grad_(False)
        module.eval()  # their batch-norm statistics stay as they are, too
    return modules
