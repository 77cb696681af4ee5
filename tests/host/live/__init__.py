"""What a converged host must show, from inside and from where its clients are."""
