# Stands where a real agent would: takes a prompt, works on /src (what it writes there vanishes), leaves its notes and a report.
set -eu
echo "done by $TASK" >>NOTES
mkdir -p /out
{
    printf '# %s\n\nAsked: %s\n\n' "$TASK" "$1"
    grep -rn TODO . || echo "nothing left to do"
    wc -l ./*
} | tee /out/report.md
