module rollcall.invalid/clients

go 1.22
