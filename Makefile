# Everything starts here: `make help`. Needs GNU make, bash and Python 3.11 to 3.13; all else is installed into .venv.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

STARTED := $(shell date +%s)
BIN := .venv/bin

# Handed over by the environment, so that paths with blanks or Chinese names arrive as they are.
export PYTHON PERIOD INBOX REPORTER DEST FROM
export DO_NOT_TRACK := 1
export PYTHONUTF8 := 1
# A user's own PYTHONPATH or virtual environment must not reach into this one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help install install-dev demo run up down templates office remind trace reader apprenticeship test compose-test corpus messes fuzz lint sbom bench docs psql env certificates lock clean endurance backup backup-check restore retention health

help: ## this list | 列出全部命令
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {split($$2, text, " [|] "); printf "  make %-14s %s\n                      %s\n", $$1, text[1], text[2]}' Makefile

install: ## make .venv and install what requirements.lock names | 建立 .venv 并按锁定清单安装
	@.ci/install

# The same versions, and what tests and checks need.
install-dev:
	@.ci/install requirements-dev.lock

demo: install ## the whole chain over a made-up province, report included | 用演示数据跑通全流程并出报告
	@SETUP_SECONDS=$$(($$(date +%s) - $(STARTED))) $(BIN)/python -m include.operate demo

run: ## the same over your own workbooks: PERIOD=2026-10 INBOX=folder | 用自己的报表跑一个报告期
	@[[ "$${PERIOD:-}" =~ ^[0-9]{4}-(0[1-9]|1[0-2])$$ ]] || { echo "error: name the reporting period: make run PERIOD=2026-10 INBOX=/path/to/workbooks (请指定报告期 PERIOD=年-月)" >&2; exit 2; }
	@[ -n "$${INBOX:-}" ] || { echo "error: name the folder of workbooks: make run PERIOD=$$PERIOD INBOX=/path/to/workbooks (请指定报表所在文件夹 INBOX=路径)" >&2; exit 2; }
	@[ -d "$$INBOX" ] || { echo "error: there is no folder $$INBOX: check INBOX (找不到该文件夹，请检查 INBOX)" >&2; exit 2; }
	@$(MAKE) install
	@$(BIN)/python -m include.operate run --period "$$PERIOD" --inbox "$$INBOX"

up: install ## start Airflow and the warehouse, print address and login | 启动并显示网址和账号
	@$(BIN)/python -m include.operate up

down: install ## stop both and show that nothing is left running | 全部停止
	@$(BIN)/python -m include.operate down

templates: install ## blank workbooks for the counties (PERIOD=2026-12 REPORTER=450721) | 生成各县报表模板
	@$(BIN)/python -m include.templates $${PERIOD:+--period "$$PERIOD"} $${REPORTER:+--reporter "$$REPORTER"}

office: install ## what waits for the office; decide it with ARGS="approve …" | 指挥部待办：更正、重新开放、情况说明
	@$(BIN)/python -m include.operate.office $(ARGS)

remind: install ## reminders due today, as the DAG writes them | 按日期生成催报提醒
	@$(BIN)/python -m include.pipeline.remind $${PERIOD:+--period "$$PERIOD"}

health: install ## is the system well: stuck periods, late runs, disk, files, database | 检查系统是否正常
	@$(BIN)/python -m include.health

trace: install ## the cells behind a figure (ARGS="--period 2026-04 --mart mart_labour_shortage …") | 查一个数字出自哪些文件、哪些单元格
	@$(BIN)/python -m include.trace $(ARGS)

reader: install ## logins of those who read the warehouse (ARGS="add NAME --role city_reader --city 450700") | 数据库只读账号
	@$(BIN)/python -m include.warehouse.readers $(or $(ARGS),list)

apprenticeship: install ## the half-yearly apprenticeship return: PERIOD=2026-05 | 生成企业新型学徒制实施进展情况表和目录
	@[[ "$${PERIOD:-}" =~ ^[0-9]{4}-(0[1-9]|1[0-2])$$ ]] || { echo "error: name the reporting period: make apprenticeship PERIOD=2026-05 (请指定报告期 PERIOD=年-月)" >&2; exit 2; }
	@$(BIN)/python -m include.exports.apprenticeship --period "$$PERIOD"

backup: install ## everything into one folder (DEST=folder, default var/backup/<time>) | 备份数据库、原件、月报、账号和密钥
	@$(BIN)/python -m include.backup save $${DEST:+"$$DEST"} $(ARGS)

backup-check: install ## every checksum of a backup, without restoring (FROM=folder) | 核对一份备份是否完好
	@[ -n "$${FROM:-}" ] || { echo "error: name the backup: make backup-check FROM=var/backup/<time> (请指定备份文件夹 FROM=路径)" >&2; exit 2; }
	@$(BIN)/python -m include.backup check "$$FROM"

restore: install ## a backup into an empty place, then compare (FROM=folder) | 恢复到空环境并逐表核对
	@[ -n "$${FROM:-}" ] || { echo "error: name the backup: make restore FROM=var/backup/<time> (请指定备份文件夹 FROM=路径)" >&2; exit 2; }
	@$(BIN)/python -m include.backup restore "$$FROM" $(ARGS)

retention: install ## what is kept beyond its time; ARGS=--apply removes it | 列出超过保存期限的内容（--apply 才清除）
	@$(BIN)/python -m include.retention $(ARGS)

# Two processes, a file of tests to each in turn: each has its own embedded PostgreSQL and state folder.
test: install-dev ## every test: unit, DAGs, dbt, integration (ARGS="-k name") | 运行全部测试
	@.ci/browser
	@.ci/postgresql
	@.ci/servers
	@$(BIN)/python -m pytest -n 2 --dist loadfile --durations=5 $(ARGS)

compose-test: install-dev ## docker-compose.yaml brought up for real, a worker killed (ARGS="--rounds 20") | 实际启动生产形态并验证
	@$(BIN)/python -m tests.compose $(ARGS)

corpus: install-dev ## every way a workbook goes wrong, expected against actual | 报表疑难样本逐一核对
	@$(BIN)/python -m tests.corpus report

messes: install-dev ## random combinations of them (EXAMPLES=20000) | 随机组合疑难情形
	@MESS_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -q tests/unit/test_messes.py

fuzz: install-dev ## mutated workbooks through the reader (COUNT=10000) | 变异文件测试
	@$(BIN)/python -m tests.corpus.fuzz --count $(or $(COUNT),10000)

lint: install-dev ## ruff, mypy, sqlfluff; known vulnerabilities and secrets | 代码规范、依赖漏洞与密钥检查
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy include dags plugins
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project
	@$(BIN)/python .ci/checks/scan_secrets.py
	@$(BIN)/python .ci/checks/audit_packages.py

sbom: install-dev ## software bill of materials of the production image (CycloneDX) and its licences | 生成软件物料清单和许可证汇总
	@$(BIN)/python .ci/checks/bill_of_materials.py

endurance: install-dev ## kill -9 of one process after another while a month runs (ROUNDS=20) | 逐一强杀进程的耐久测试
	@$(BIN)/python -m tests.endurance.kills --rounds $(or $(ROUNDS),20)

bench: install-dev ## reading against the bare reader; building month 36 against month 1; twenty queries; every report of a month | 测量读取、建库、查询、出报告速度
	@$(BIN)/python -m tests.bench.bench_reading
	@$(BIN)/python -m tests.bench.bench_province
	@$(BIN)/python -m tests.bench.bench_warehouse
	@$(BIN)/python -m tests.bench.bench_report

docs: install ## models as one HTML file, data dictionary, ER diagram | 生成数据模型文档、数据字典、实体关系图
	@$(BIN)/python -m include.documentation

psql: install ## a SQL shell on the warehouse | 打开数据库命令行
	@$(BIN)/python -m include.warehouse.connection psql

env: ## random secrets for docker-compose into .env | 为 docker-compose 生成随机密钥
	@python=$${PYTHON:-python3}; [ -x $(BIN)/python ] && python=$(BIN)/python; "$$python" -m include.warehouse.env

certificates: install ## a certificate for PostgreSQL, or the next one (ARGS="--name db.example.cn") | 生成或更换数据库证书
	@$(BIN)/python -m include.warehouse.certificates $(ARGS)

# Pins that still fit stay; ARGS=--upgrade takes the newest of everything, ARGS="--upgrade-package name" of one.
lock: install-dev ## both lock files anew from requirements.in and requirements-dev.in (ARGS=--upgrade) | 更新依赖锁定清单
	@compile=("$(BIN)/uv" pip compile --quiet --no-config --universal --generate-hashes --no-emit-index-url \
	    --python-version 3.11 --custom-compile-command "make lock" $(ARGS)); \
	  "$${compile[@]}" --output-file requirements.lock requirements.in; \
	  "$${compile[@]}" --constraints requirements.lock --output-file requirements-dev.lock requirements-dev.in

clean: ## remove what can be made anew; var/ with your data stays | 清理可重建的文件（保留 var/ 数据）
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs logs
	@find include dags plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +
