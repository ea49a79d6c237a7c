"""B2MML files: what an MES reports of its jobs, laid into a folder. Files are read, never written, moved or removed."""
