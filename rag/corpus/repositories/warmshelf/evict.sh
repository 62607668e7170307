#!/bin/sh
# Removes model folders that no process has read for a week, the oldest first, until a fifth of the disk is free.
set -eu
shelf=${1:?usage: evict.sh FOLDER}

free_percent() {
    df --output=pcent "$shelf" | tail -1 | tr -dc '0-9' | awk '{print 100 - $1}'
}

find "$shelf" -mindepth 1 -maxdepth 1 -type d -atime +7 -printf '%A@ %p\n' | sort -n | cut -d' ' -f2- |
while read -r model; do
    [ "$(free_percent)" -ge 20 ] && break
    rm -rf -- "$model"
done
