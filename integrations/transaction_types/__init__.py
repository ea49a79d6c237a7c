"""Kinds of write. One file is one transaction type; scanning finds every module that exports `TYPE`."""
