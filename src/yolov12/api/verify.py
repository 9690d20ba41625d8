"""Is an exported file still what its certificate says, on the machine that is to run it? No torch, and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolov12.api.exported import ExportedModel
from yolov12.data.contract import contract
from yolov12.export import probe


def verify_file(file: str | Path, *, device: str = "auto", precision: str = "auto") -> dict[str, Any]:
    """What was checked: `passed` and `failures`, lines of text. CheckpointError for what cannot be opened at all.

    The bytes are those that were certified; pictures are laid on the canvas as this version does it; and the file
    answers the questions of its certificate as it did when it was made.
    """
    model = ExportedModel(file)
    artefact, runtime = model.artefact, model.open_backend(device, precision)
    certificate = artefact.certificate
    passed: list[str] = []
    failed: list[str] = []

    def note(good: bool, right: str, wrong: str) -> None:
        (passed if good else failed).append(right if good else wrong)

    digest = str(certificate.get("digest", ""))
    if certificate.get("unchecked"):
        passed.append(f"it was not checked when it was made ({certificate['unchecked']}): its answers are torch's")
    else:
        note(bool(certificate), "it has a certificate", "it has no certificate: export the model again")
    same = bool(digest) and probe.payload_digest(Path(file), digest) == digest
    note(same, "the contents are those that were certified", "the contents have changed since they were certified")
    known = dict(artefact.preprocess) == contract(artefact.task)
    note(known, "pictures are prepared as it expects", "it expects pictures to be prepared in another way")
    wrong = probe.wrong_answers(runtime, artefact, certificate.get("probe", ()))
    note(not wrong, f"it answers as it did ({runtime.name}, {runtime.precision})", "; ".join(wrong))
    return {
        "file": str(file),
        "runtime": runtime.name,
        "precision": runtime.precision,
        "passed": passed,
        "failures": failed,
    }
