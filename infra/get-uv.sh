#!/bin/sh
# Provides .tools/bin/uv: a link to a uv on the PATH that is new enough, or a uv that a Python with pip installs there.
# Usage: sh infra/get-uv.sh VERSION OLDEST PYTHON
#   VERSION  what pip installs
#   OLDEST   what a uv that is already there has to be at least
#   PYTHON   tried first for its pip; an active environment may have none, so every Python on the PATH is tried after it
set -fu
version=$1 oldest=$2 python=$3
uv=.tools/bin/uv

serves() { # whether the command $1 is a uv of version $oldest or newer
  "$1" --version 2>/dev/null | awk -v oldest="$oldest" '
    $1 == "uv" {
      split($2, have, "."); split(oldest, need, ".")
      for (i = 1; i <= 3; i++) if (have[i] + 0 != need[i] + 0) { newer = have[i] + 0 > need[i] + 0; exit }
      newer = 1; exit
    }
    END { exit !newer }'
}

has_pip() { # whether the command $1 is a Python that can install uv
  "$1" -c 'import sys, pip; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1
}

pythons() { # every Python on the PATH, one a line
  echo "$python"
  echo "$PATH" | tr ':' '\n' | while IFS= read -r folder; do
    for name in python3 python3.12 python3.11 python; do
      test -x "$folder/$name" && echo "$folder/$name"
    done
  done
}

serves "$uv" && exit 0

mkdir -p .tools/bin
if serves uv; then
  ln -sf "$(command -v uv)" "$uv"
  exit 0
fi

pip_python=$(pythons | while IFS= read -r candidate; do has_pip "$candidate" && echo "$candidate" && break; done)
if test -z "$pip_python"; then
  echo "error: no uv $oldest or newer and no Python with pip on the PATH; install uv" \
    "(https://docs.astral.sh/uv/getting-started/installation/) or pip (Debian, Ubuntu: apt install python3-pip)," \
    "then run make again" >&2
  exit 1
fi
rm -f "$uv" # a link to a uv that is too old or gone
# Settings of the user's pip that --target does not go with; the third is an option that older versions do not have.
PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore \
  "$pip_python" -m pip install --quiet --disable-pip-version-check --upgrade --target .tools "uv==$version"
