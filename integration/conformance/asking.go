package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type (
	person struct {
		Name string `json:"name" validate:"required,max=100"`
	}
	colour struct {
		Color string `json:"color" validate:"required,max=100"`
	}
	consent struct {
		OK *bool `json:"ok" validate:"required"`
	}
	user struct {
		Username string `json:"username" validate:"required,max=100" jsonschema:"Your preferred username"`
	}
	defaults struct {
		Name     string  `json:"name" default:"John Doe"`
		Age      int     `json:"age" default:"30"`
		Score    float64 `json:"score" default:"95.5"`
		Status   string  `json:"status" validate:"omitempty,oneof=active inactive pending" default:"active"`
		Verified bool    `json:"verified" default:"true"`
	}
	choices struct {
		UntitledSingle string   `json:"untitledSingle" validate:"omitempty,oneof=option1 option2 option3"`
		TitledSingle   string   `json:"titledSingle" validate:"omitempty,oneof=value1 value2 value3" titles:"First Option|Second Option|Third Option"`
		LegacyEnum     string   `json:"legacyEnum" validate:"omitempty,oneof=opt1 opt2 opt3" enumNames:"Option One|Option Two|Option Three"`
		UntitledMulti  []string `json:"untitledMulti" validate:"min=1,max=3,dive,oneof=option1 option2 option3"`
		TitledMulti    []string `json:"titledMulti" validate:"min=1,max=3,dive,oneof=value1 value2 value3" titles:"First Choice|Second Choice|Third Choice"`
	}
)

// asks is a tool that asks for one form and says what was answered.
func asks[T any](tool, name, message string, say func(T) string) *mcpsec.Tool {
	return read(tool, "Asks for a form.", func(ctx context.Context, _ none) (texts, error) {
		v, err := mcpsec.Elicit[T](ctx, name, message)
		return said(say(v)), err
	})
}

func greet(p person) string { return "Hello, " + p.Name + "!" }

func stateOK(consent) string { return "state-ok" }

func show[T any](v T) string { return fmt.Sprintf("Elicitation result: %+v", v) }

func askingTools() []*mcpsec.Tool {
	return []*mcpsec.Tool{
		asks("test_elicitation_sep1034_defaults", "defaults", "Test defaults for primitives", show[defaults]),
		asks("test_elicitation_sep1330_enums", "choices", "Test enum schemas", show[choices]),
		asks("test_input_required_result_elicitation", "user_name", "What is your name?", greet),
		asks("test_input_required_result_request_state", "confirm", "Please confirm", stateOK),
		asks("test_input_required_result_tampered_state", "confirm", "Please confirm", stateOK),
		read("test_elicitation", "Asks what it is told to.", func(ctx context.Context, in struct {
			Message string `json:"message" validate:"required,max=1000"`
		}) (texts, error) {
			u, err := mcpsec.Elicit[user](ctx, "user", in.Message)
			return said(show(u)), err
		}),
		read("test_sampling", "Asks the client's model.", func(ctx context.Context, in struct {
			Prompt string `json:"prompt" validate:"required,max=1000"`
		}) (texts, error) {
			t, err := mcpsec.Sample(ctx, "answer", in.Prompt, 100)
			return said("LLM response: " + t), err
		}),
		read("test_missing_capability", "Needs a client with a model.", capital),
		read("test_input_required_result_sampling", "Asks the client's model.", capital),
		read("test_input_required_result_list_roots", "Asks for the client's roots.", func(ctx context.Context, _ none) (texts, error) {
			roots, err := mcpsec.Roots(ctx)
			return said("Roots: " + strings.Join(roots, ", ")), err
		}),
		read("test_input_required_result_multiple_inputs", "Asks for three things at once.", func(ctx context.Context, _ none) (texts, error) {
			p, err1 := mcpsec.Elicit[person](ctx, "user_name", "What is your name?")
			t, err2 := mcpsec.Sample(ctx, "greeting", "Generate a greeting", 50)
			roots, err3 := mcpsec.Roots(ctx)
			return said(fmt.Sprintf("%s %s, %d roots", t, p.Name, len(roots))), errors.Join(err1, err2, err3)
		}),
		read("test_input_required_result_multi_round", "Asks for one thing after the other.", func(ctx context.Context, _ none) (texts, error) {
			p, err := mcpsec.Elicit[person](ctx, "step1", "Step 1: What is your name?")
			if err != nil {
				return texts{}, err
			}
			c, err := mcpsec.Elicit[colour](ctx, "step2", "Step 2: What is your favorite color?")
			return said(p.Name + " likes " + c.Color), err
		}),
		read("test_input_required_result_capabilities", "Asks for what the client can give.", func(ctx context.Context, _ none) (texts, error) {
			_, err1 := mcpsec.Elicit[person](ctx, "user_name", "What is your name?")
			_, err2 := mcpsec.Sample(ctx, "greeting", "Generate a short greeting", 50)
			return said("all that the client can give"), errors.Join(unless(err1), unless(err2))
		}),
	}
}

func capital(ctx context.Context, _ none) (texts, error) {
	t, err := mcpsec.Sample(ctx, "capital_question", "What is the capital of France?", 100)
	return said("Sampling response: " + t), err
}

// unless drops the error of a client that cannot be asked.
func unless(err error) error {
	if errors.Is(err, mcpsec.ErrCannotAsk) {
		return nil
	}
	return err
}
