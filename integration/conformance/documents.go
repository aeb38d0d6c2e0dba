package main

import (
	"context"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func prompt[In any](name, description string, h func(context.Context, In) ([]mcpsec.Message, error)) *mcpsec.Prompt {
	return mcpsec.NewPrompt(mcpsec.PromptSpec{Name: name, Description: description}, h)
}

func prompts() []*mcpsec.Prompt {
	return []*mcpsec.Prompt{
		prompt("test_simple_prompt", "Has no arguments.", func(context.Context, none) ([]mcpsec.Message, error) {
			return []mcpsec.Message{{Content: said("This is a simple prompt for testing.")}}, nil
		}),
		mcpsec.NewPrompt(mcpsec.PromptSpec{
			Name: "test_prompt_with_arguments", Description: "Has two arguments.",
			Complete: map[string]func(context.Context, string) ([]string, error){
				"arg1": func(_ context.Context, prefix string) ([]string, error) { return []string{prefix + "1"}, nil },
			},
		}, func(_ context.Context, in struct {
			Arg1 string `json:"arg1" validate:"required,max=100" jsonschema:"First test argument"`
			Arg2 string `json:"arg2" validate:"required,max=100" jsonschema:"Second test argument"`
		}) ([]mcpsec.Message, error) {
			return []mcpsec.Message{{Content: said(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", in.Arg1, in.Arg2))}}, nil
		}),
		prompt("test_prompt_with_embedded_resource", "Holds a resource.", func(_ context.Context, in struct {
			URI string `json:"resourceUri" validate:"required,max=200" jsonschema:"URI of the resource to embed"`
		}) ([]mcpsec.Message, error) {
			return []mcpsec.Message{
				{Content: mcpsec.Content{URI: in.URI, MIMEType: "text/plain", Text: "Embedded resource content for testing."}},
				{Content: said("Please process the embedded resource above.")},
			}, nil
		}),
		prompt("test_prompt_with_image", "Holds a picture.", func(context.Context, none) ([]mcpsec.Message, error) {
			return []mcpsec.Message{{Content: picture}, {Content: said("Please analyze the image above.")}}, nil
		}),
		prompt("test_input_required_result_prompt", "Asks for a form.", func(ctx context.Context, _ none) ([]mcpsec.Message, error) {
			c, err := mcpsec.Elicit[struct {
				Context string `json:"context" validate:"required,max=1000"`
			}](ctx, "user_context", "What context should the prompt use?")
			return []mcpsec.Message{{Content: said("Context: " + c.Context)}}, err
		}),
	}
}

func resource(name, uri, mimeType string, c mcpsec.Content) *mcpsec.Resource {
	return mcpsec.NewResource(mcpsec.ResourceSpec{Name: name, Description: "For tests.", URI: uri, MIMEType: mimeType},
		func(context.Context, none) (mcpsec.Content, error) { return c, nil })
}

func resources() []*mcpsec.Resource {
	return []*mcpsec.Resource{
		resource("static-text", "test://static-text", "text/plain", said("This is the content of the static text resource.")),
		resource("static-binary", "test://static-binary", "image/png", mcpsec.Content{Data: picture.Data}),
		resource("watched-resource", "test://watched-resource", "text/plain", said("Watched resource content")),
		mcpsec.NewResource(mcpsec.ResourceSpec{
			Name: "template", Description: "For tests.", URI: "test://template/{id}/data", MIMEType: "application/json",
		}, func(_ context.Context, in struct {
			ID string `json:"id" validate:"required,max=100,alphanum"`
		}) (mcpsec.Content, error) {
			return said(fmt.Sprintf(`{"id":"%s","templateTest":true,"data":"Data for ID: %[1]s"}`, in.ID)), nil
		}),
	}
}
