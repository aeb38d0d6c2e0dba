module github.com/mcpsec/mcpsec-go/examples

go 1.25.0

require (
	github.com/fergusstrange/embedded-postgres v1.34.0
	github.com/mcpsec/mcpsec-go v0.0.0
)

require (
	github.com/lib/pq v1.10.9 // indirect
	github.com/xi2/xz v0.0.0-20171230120015-48954b6210f8 // indirect
)

replace github.com/mcpsec/mcpsec-go => ../
