"""The main job, small: record, train the three subsystems, compare arms of control, drive the whole stack, report.

config.py says what each stage does, stages.py how it is started, seen to be done and resumed, pipeline.py does them in
their order, page.py writes the report. Each stage is the command that a user would call, in a process of its own.
"""
