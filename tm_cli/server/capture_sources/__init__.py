"""Directories on other machines from which captures are read: SFTP and S3."""
