"""Prints how busy each day of the week is, by category: a year of days in one small file, and pandas does the rest.

Run it as `python weekdays.py https://stats.example.org/ volume-by-category 2015`.
"""

import sys

import pandas as pd

site, plugin, year = sys.argv[1:4]
days = pd.read_csv(f"{site}v1/plugins/{plugin}/series/1d/{year}.csv", keep_default_na=False)
days["day"] = pd.to_datetime(days["timestamp"], unit="s", utc=True).dt.day_name()
table = days.pivot_table(index="day", columns="category", values="value", aggfunc="sum", fill_value=0)
week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
print(table.reindex([day for day in week if day in table.index]).to_string())
