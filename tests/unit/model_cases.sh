#!/bin/sh
# SPDX-License-Identifier: MIT
#
# model_cases.sh TABLE: is TABLE what model_cases.py makes?  Skipped, with status 77, where there is
# no python3.

set -u
if ! command -v python3 >/dev/null; then
        echo "skipped: there is no python3 to work the golden cases out again"
        exit 77
fi
exec python3 "$(dirname "$0")/model_cases.py" --compare "$1"
