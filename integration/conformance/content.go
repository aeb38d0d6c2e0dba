package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type none struct{}

// texts is what a tool of this server returns.
type texts = mcpsec.Content

func said(text string) texts { return texts{Text: text} }

func read[In, Out any](name, description string, h func(context.Context, In) (Out, error)) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: description, Effect: mcpsec.Read}, h)
}

// fixed always returns the same.
func fixed(name, description string, out ...mcpsec.Content) *mcpsec.Tool {
	return read(name, description, func(context.Context, none) ([]mcpsec.Content, error) { return out, nil })
}

var (
	// One red pixel, and a sound of no length.
	picture = mcpsec.Content{MIMEType: "image/png", Data: decoded("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")}
	sound   = mcpsec.Content{MIMEType: "audio/wav", Data: decoded("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")}
)

func decoded(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func embedded(uri string) mcpsec.Content {
	return mcpsec.Content{URI: uri, MIMEType: "text/plain", Text: "This is an embedded resource"}
}

func contentTools() []*mcpsec.Tool {
	return []*mcpsec.Tool{
		fixed("test_simple_text", "Returns a text.", said("This is a simple text response for testing.")),
		fixed("test_image_content", "Returns a picture.", picture),
		fixed("test_audio_content", "Returns a sound.", sound),
		fixed("test_embedded_resource", "Returns a resource.", embedded("test://embedded-resource")),
		fixed("test_multiple_content_types", "Returns a text, a picture and a resource.", said("This is text content"), picture, embedded("test://embedded-in-multiple")),
		fixed("test_streaming_elicitation", "Returns a text and asks nobody.", said("no requests on this stream")),
		read("test_error_handling", "Fails.", func(context.Context, none) (texts, error) {
			return texts{}, &mcpsec.Error{Message: "This tool intentionally returns an error for testing"}
		}),
		read("test_tool_with_progress", "Reports its progress.", func(ctx context.Context, _ none) (texts, error) {
			for _, done := range []float64{0, 50, 100} {
				mcpsec.Progress(ctx, done, 100, "Completed step "+strconv.Itoa(int(done))+" of 100")
				time.Sleep(120 * time.Millisecond) // reports that follow each other faster are left out
			}
			return said("done"), nil
		}),
		logs("test_tool_with_logging", "Tool execution started", "Tool processing data", "Tool execution completed"),
		logs("test_logging_tool", "Tool executed"),
		read("test_reconnection", "Returns a text, on the stream of the call.", func(context.Context, none) (texts, error) {
			return said("done"), nil
		}),
		read("test_x_mcp_header", "Has an argument in a header.", func(_ context.Context, in regional) (texts, error) {
			return said("region=" + in.Region), nil
		}),
		mcpsec.NewTool(mcpsec.ToolSpec{
			Name: "json_schema_2020_12_tool", Description: "Takes an address.", Effect: mcpsec.Read, InputSchema: json.RawMessage(contactSchema),
		}, func(_ context.Context, in contact) (texts, error) {
			return said("called for " + in.Name), nil
		}),
	}
}

func logs(name string, messages ...string) *mcpsec.Tool {
	return read(name, "Says something to the client.", func(ctx context.Context, _ none) (texts, error) {
		for _, m := range messages {
			mcpsec.LogToClient(ctx, slog.LevelInfo, m)
		}
		return said("logged"), nil
	})
}

type regional struct {
	Region string `json:"region" validate:"max=100" mcpsec:"header=Region"`
	Level  int    `json:"level"`
}

// contactSchema says what tags cannot: one way to be reached is needed, and the one
// that was chosen.
const contactSchema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object",
	"$defs": {"address": {
		"$anchor": "addressDef",
		"type": "object",
		"properties": {"street": {"type": "string", "maxLength": 100}, "city": {"type": "string", "maxLength": 100}},
		"additionalProperties": false
	}},
	"properties": {
		"name": {"type": "string", "maxLength": 100},
		"address": {"$ref": "#/$defs/address"},
		"contactMethod": {"type": "string", "enum": ["phone", "email"]},
		"phone": {"type": "string", "maxLength": 40},
		"email": {"type": "string", "maxLength": 100}
	},
	"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
	"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
	"then": {"required": ["phone"]},
	"else": {"required": ["email"]},
	"additionalProperties": false
}`

type contact struct {
	Name    string  `json:"name" validate:"max=100"`
	Address address `json:"address"`
	Method  string  `json:"contactMethod" validate:"omitempty,oneof=phone email"`
	Phone   string  `json:"phone" validate:"required_if=Method phone,max=40"`
	Email   string  `json:"email" validate:"required_if=Method email,max=100"`
}

type address struct {
	Street string `json:"street" validate:"max=100"`
	City   string `json:"city" validate:"max=100"`
}

// changeTools add to the server while it runs, for those who watch its lists.
func changeTools(srv *mcpsec.Server) []*mcpsec.Tool {
	var n atomic.Int64
	name := func() string { return "transient_" + strconv.FormatInt(n.Add(1), 10) }
	spec := func(tool string) mcpsec.ToolSpec {
		return mcpsec.ToolSpec{Name: tool, Description: "Adds to the server.", Effect: mcpsec.Write}
	}
	return []*mcpsec.Tool{
		mcpsec.NewTool(spec("test_trigger_tool_change"), func(context.Context, none) (texts, error) {
			srv.Add(fixed(name(), "Was added.", said("added")))
			return said("added"), nil
		}),
		mcpsec.NewTool(spec("test_trigger_prompt_change"), func(context.Context, none) (texts, error) {
			srv.AddPrompt(prompt(name(), "Was added.", func(context.Context, none) ([]mcpsec.Message, error) {
				return []mcpsec.Message{{Content: said("added")}}, nil
			}))
			return said("added"), nil
		}),
	}
}
