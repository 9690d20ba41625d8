"""`python -m yolov12` is the same as `yolov12`."""

from __future__ import annotations

import sys

from yolov12.cli.main import main

sys.exit(main())
