module rollcall.invalid/peer-finder

go 1.22
