// Mcpgo is a server as the README of mcp-go shows it, with its check of arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	s := server.NewMCPServer("orders", "1.0.0",
		server.WithToolCapabilities(false), server.WithRecovery(), server.WithInputSchemaValidation())

	s.AddTool(mcp.NewTool("order_lookup",
		mcp.WithDescription("Fetch one order by its number."), mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithNumber("id", mcp.Required(), mcp.Description("the order's number"), mcp.Min(1), mcp.Max(99999)),
		mcp.WithString("currency", mcp.Enum("EUR", "USD")),
		mcp.WithString("note", mcp.MaxLength(40)),
	), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		id, err := r.RequireInt("id")
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		return mcp.NewToolResultText(fmt.Sprintf(`{"id":%d,"status":"shipped"}`, id)), nil
	})
	s.AddTool(mcp.NewTool("customer_initials",
		mcp.WithDescription("The initials of a customer."), mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithString("name", mcp.Required(), mcp.Description("first and last name, as in Ada Lovelace"), mcp.MaxLength(80)),
	), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		name, err := r.RequireString("name")
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		names := strings.Split(name, " ")
		return mcp.NewToolResultText(names[0][:1] + names[1][:1]), nil // a bug: not everybody has two
	})
	s.AddTool(mcp.NewTool("sales_report",
		mcp.WithDescription("The sales of a year."), mcp.WithReadOnlyHintAnnotation(true),
		mcp.WithNumber("year", mcp.Required(), mcp.Min(2000), mcp.Max(2100)),
	), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		year, err := r.RequireInt("year")
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		if year != 2026 {
			return mcp.NewToolResultText(`{"id":0,"status":""}`), nil
		}
		return nil, fmt.Errorf("connecting to %s: %w", os.Getenv("DATABASE_URL"), errors.New("connection refused"))
	})

	if err := server.ServeStdio(s); err != nil {
		log.Fatal(err)
	}
}
