"""Print the mean of each day of the week, by category: a year of days is one small file, and pandas does the rest.

Run it as `python weekdays.py https://stats.example.org/ volume-by-category 2015`.
"""

import json
import sys
from urllib.request import urlopen

import pandas as pd

DAY = 86400

site, plugin, year = sys.argv[1:4]
series = f"{site}v1/plugins/{plugin}/series/1d"
with urlopen(f"{series}/index.json") as response:
    period = next(each for each in json.load(response)["periods"] if each["period"] == year)
days = pd.read_csv(f"{series}/{year}.csv", keep_default_na=False, na_values={"value": [""]})
unknown = days.loc[days["value"].isna(), "timestamp"]
known = days.dropna(subset="value")
table = known.pivot_table(index="timestamp", columns="category", values="value", aggfunc="sum")
# A day without a row is zero. A day in a gap, before the first data, or not over yet is unknown: means leave it out.
over = range(period["start"], period["complete_through"], DAY)
table = table.reindex(over).fillna(0).drop(unknown, errors="ignore")
means = table.groupby(pd.to_datetime(table.index, unit="s", utc=True).day_name()).mean().round(1)
week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
print(means.reindex([day for day in week if day in means.index]).to_string())
