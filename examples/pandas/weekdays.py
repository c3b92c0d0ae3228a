"""Prints how busy each day of the week is, by category: a year of days in one small file, and pandas does the rest.

Run it as `python weekdays.py https://stats.example.org/ volume-by-category 2015`.
"""

import sys

import pandas as pd

DAY = 86400

site, plugin, year = sys.argv[1:4]
url = f"{site}v1/plugins/{plugin}/series/1d/{year}.csv"
days = pd.read_csv(url, keep_default_na=False, na_values={"value": [""]})
unknown = days.loc[days["value"].isna(), "timestamp"]
known = days.dropna(subset="value")
table = known.pivot_table(index="timestamp", columns="category", values="value", aggfunc="sum")
# A day without a row is zero, and a day in a gap is unknown: it does not count in a mean.
table = table.reindex(range(days["timestamp"].min(), days["timestamp"].max() + DAY, DAY)).fillna(0).drop(unknown)
means = table.groupby(pd.to_datetime(table.index, unit="s", utc=True).day_name()).mean().round(1)
week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
print(means.reindex([day for day in week if day in means.index]).to_string())
