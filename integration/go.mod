module github.com/mcpsec/mcpsec-go/integration

go 1.25.0

require (
	github.com/mcpsec/mcpsec-go v0.0.0
	github.com/mcpsec/mcpsec-go/examples v0.0.0
)

replace (
	github.com/mcpsec/mcpsec-go => ../
	github.com/mcpsec/mcpsec-go/examples => ../examples
)
