"""Nothing acknowledged is ever lost: real processes, real kills, real disks that fail."""
