"""Reports of comparisons: one HTML file that needs no network, and the same as Markdown, CSV and Parquet.

summary (what is said and tabulated), charts (SVG), page (HTML), files (the rest), build (all of them).
"""
