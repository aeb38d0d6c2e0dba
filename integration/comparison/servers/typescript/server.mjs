// A server as the README of the official TypeScript SDK shows it.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "orders", version: "1.0.0" });
const annotations = { readOnlyHint: true };
const answer = (value) => ({ content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: value });

server.registerTool("order_lookup", {
  description: "Fetch one order by its number.",
  annotations,
  inputSchema: {
    id: z.number().int().min(1).max(99999).describe("the order's number"),
    currency: z.enum(["EUR", "USD"]).optional(),
    note: z.string().max(40).optional(),
  },
  outputSchema: { id: z.number(), status: z.string() },
}, async ({ id }) => answer({ id, status: "shipped" }));

server.registerTool("customer_initials", {
  description: "The initials of a customer.",
  annotations,
  inputSchema: { name: z.string().max(80).describe("first and last name, as in Ada Lovelace") },
  outputSchema: { initials: z.string() },
}, async ({ name }) => {
  const names = name.split(" ");
  return answer({ initials: names[0][0] + names[1][0] }); // a bug: not everybody has two
});

server.registerTool("sales_report", {
  description: "The sales of a year.",
  annotations,
  inputSchema: { year: z.number().int().min(2000).max(2100) },
  outputSchema: { id: z.number(), status: z.string() },
}, async ({ year }) => {
  if (year !== 2026) return answer({ id: 0, status: "" });
  throw new Error(`connecting to ${process.env.DATABASE_URL}: connection refused`);
});

await server.connect(new StdioServerTransport());
