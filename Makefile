.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
SIDE_BY_SIDE := --tier parallel -n auto --maxprocesses 4 --dist worksteal
SEARCHES := faults fuzz properties

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## make the virtual environment in .venv
	./install.sh setup

deb: ## the Debian package, built in a clean Debian 12; ARGS="--key FILE" signs it
	packaging/build.sh --chroot bookworm $(ARGS)

package-test: ## the package in a Debian of its own: install, upgrade, cut, remove; needs root and mmdebstrap
	$(PYTHON) -m pytest -m nightly tests/system/product/test_package.py

demo: ## let a car charge at the simulated wallbox
	./install.sh demo

check: ## every check and the whole test suite; rewrites nothing
	./install.sh test

test: ## the test suite alone; ARGS="-k pilot" for a part
	$(PYTHON) -m pytest $(ARGS)

quick: ## the tests in virtual time, side by side, without matrices and searches; ARGS="-k pilot" for a part
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(SEARCHES:%=--ignore tests/component/%) $(ARGS)

parallel: ## all tests that know no real time, side by side
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(ARGS)

serial: ## the tests with real processes and real time, one at a time
	$(PYTHON) -m pytest --tier serial $(ARGS)

pictures: ## the pictures of docs/WEB.md, by the browser of the tests
	$(PYTHON) -m tests.system.web.screenshots docs/web

nightly: ## the long random searches too
	EVSE_PI_HYPOTHESIS=search $(PYTHON) -m pytest -m "not hil" $(ARGS)

format: ## put imports in order and format; the only check that rewrites
	.venv/bin/ruff check --select I --fix . && .venv/bin/ruff format .

lint: ## format, ruff, mypy, import layers; rewrites nothing
	.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

mutate: ## change FILE in one place after the other; FILE=evse_pi/core/duty.py TESTS=tests/unit/core/test_duty.py
	$(PYTHON) -m tests.support.mutate $(FILE) $(TESTS)

hil: ## the tests at a real board on the bench, beside a running evse-pi
	$(PYTHON) -m pytest -m hil tests/system/hil $(ARGS)

coverage: ## the suite with branch coverage; fails below 100 % of core and safety and 90 % of the rest
	.venv/bin/coverage run -m pytest $(ARGS) && .venv/bin/coverage combine -q
	.venv/bin/coverage report --skip-covered --omit="evse_pi/core/*,evse_pi/safety/*" --fail-under=90; rest=$$?; \
	.venv/bin/coverage report --skip-covered --show-missing --include="evse_pi/core/*,evse_pi/safety/*" --fail-under=100 \
		&& exit $$rest

commands: ## write docs/COMMANDS.md and docs/API.md from commands and records
	$(PYTHON) -m evse_pi.cli.reference markdown > docs/COMMANDS.md
	$(PYTHON) -m evse_pi.api.reference > docs/API.md

files: ## write the pages and schemas of board and installation files from their loaders
	$(PYTHON) -m boards.reference > docs/BOARD_FILE.md
	$(PYTHON) -m boards.reference schema > boards/board.schema.json
	$(PYTHON) -m evse_pi.installation.reference > docs/INSTALLATION_FILE.md
	$(PYTHON) -m evse_pi.installation.reference schema > docs/installation.schema.json
	$(PYTHON) -m evse_pi.installation.countries > docs/COUNTRIES.md

docs: commands files texts walk rights timing ## write all pages that are made from code

texts: ## write docs/texts.pot, the list of all texts for translators
	$(PYTHON) -m tests.support.text_catalogue

walk: ## write the installer's walk in docs/INSTALLING.md if its words changed; ARGS=--figures writes its figures too
	$(PYTHON) -m tests.support.installer_walk $(ARGS)

rights: ## write who may do what in docs/SECURITY.md
	$(PYTHON) -m tests.support.rights

timing: ## write docs/TIMING_MARGINS.md: every sequence of IEC 61851-1 Table A.6 with its worst time, a minute of a core
	$(PYTHON) -m tests.component.timing.sequences > docs/TIMING_MARGINS.md

long: ## ten minutes of a core of the whole tick loop on a hostile board, added to the runs before; ARGS="--minutes 600"
	nice -n 15 $(PYTHON) -m bench.long_run $(ARGS)

bench: ## reaction, loop, memory and storage figures of this machine
	$(PYTHON) -m bench

.PHONY: help setup deb package-test demo check test quick parallel serial pictures nightly format lint mutate hil coverage commands files docs texts walk rights timing long bench
