"""Sum up the sales of a year by region and month, and draw a chart of them."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into files; there is no screen here

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).parent


def load(path: Path) -> pd.DataFrame:
    sales = pd.read_csv(path, parse_dates=["date"])
    sales["revenue"] = sales["units"] * sales["unit_price"]
    sales["month"] = sales["date"].dt.to_period("M")
    return sales


def by_month(sales: pd.DataFrame) -> pd.DataFrame:
    """Revenue with a row for each month and a column for each region."""
    return sales.pivot_table(index="month", columns="region", values="revenue", aggfunc="sum", fill_value=0)


def print_table(table: pd.DataFrame) -> None:
    width = max(len(region) for region in table.columns) + 4
    line = "-" * (10 + width * (len(table.columns) + 1))

    def row(name, values):
        # flush shows each line as soon as it is known
        print(f"{name:<10}" + "".join(f"{value:>{width}}" for value in values), flush=True)

    row("month", [*table.columns, "all"])
    print(line)
    for month, values in table.iterrows():
        row(str(month), [f"{value:,.0f}" for value in [*values, values.sum()]])
    print(line)
    row("year", [f"{value:,.0f}" for value in [*table.sum(), table.to_numpy().sum()]])


def draw(table: pd.DataFrame, path: Path) -> None:
    axes = table.plot(kind="bar", stacked=True, figsize=(10, 5), width=0.8)
    axes.set_title("Revenue by month and region")
    axes.set_xlabel("")
    axes.set_ylabel("euros")
    axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(axis="x", rotation=45)
    axes.legend(title="")
    axes.spines[["top", "right"]].set_visible(False)
    plt.tight_layout()
    plt.savefig(path, dpi=120)


def main() -> None:
    sales = load(HERE / "data" / "sales.csv")
    print(f"{len(sales)} sales from {sales['date'].min():%d %B %Y} to {sales['date'].max():%d %B %Y}\n", flush=True)

    table = by_month(sales)
    print_table(table)

    best = sales.groupby("product")["revenue"].sum().sort_values(ascending=False)
    print(f"\nBest product: {best.index[0]}, with {best.iloc[0]:,.0f} euros", flush=True)

    draw(table, HERE / "chart.png")
    print("The chart is in chart.png.", flush=True)


if __name__ == "__main__":
    main()
