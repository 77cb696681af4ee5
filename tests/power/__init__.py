"""Power cuts: a virtual machine loses power under load, and nothing acknowledged may be missing after it."""
