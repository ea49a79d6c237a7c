"""What agents may read. One file is one read tool; scanning finds every module that exports `TOOL`."""
