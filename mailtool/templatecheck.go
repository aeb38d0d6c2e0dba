package mailtool

import (
	"fmt"
	"strings"
	"text/template/parse"
)

// functions are all that a template may call: none of them reaches out, formats with a
// width, or makes text that is not escaped.
var functions = map[string]any{"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true, "len": true}

// checker refuses a tree that holds anything that is not known to be harmless.
type checker struct {
	what string
	tree *parse.Tree
	vars map[string]string // type by name
}

func (c checker) refuse(n parse.Node, format string, args ...any) error {
	where, _ := c.tree.ErrorContext(n)
	parts := strings.Split(where, ":") // name:line:column
	if len(parts) < 2 {
		return wrong("%s: %s", c.what, fmt.Sprintf(format, args...))
	}
	return wrong("%s, line %s: %s", c.what, parts[1], fmt.Sprintf(format, args...))
}

// list checks a body. In root, the dot is the values; elsewhere it is one of them.
func (c checker) list(l *parse.ListNode, root bool) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := c.node(n, root); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) node(n parse.Node, root bool) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		return c.pipe(n.Pipe, root)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, c.pipe(n.Pipe, root), root, root)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, c.pipe(n.Pipe, root), false, root)
	case *parse.RangeNode:
		return c.branch(&n.BranchNode, c.rangePipe(n.Pipe, root), false, root)
	}
	return c.refuse(n, "this is not for mails")
}

func (c checker) branch(b *parse.BranchNode, err error, root, elseRoot bool) error {
	if err == nil {
		err = c.list(b.List, root)
	}
	if err == nil {
		err = c.list(b.ElseList, elseRoot)
	}
	return err
}

// rangePipe is the name of a list, as work relies on.
func (c checker) rangePipe(p *parse.PipeNode, root bool) error {
	if p.IsAssign {
		return c.refuse(p, "variables cannot be changed")
	}
	name, ok := ranged(p)
	if !ok || c.vars[name] != "list" {
		return c.refuse(p, "range is for a variable of type list alone")
	}
	return c.arg(p.Cmds[0].Args[0], root)
}

// ranged is what a range is over: {{range .name}} or {{range $.name}}.
func ranged(p *parse.PipeNode) (string, bool) {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return "", false
	}
	switch n := p.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return n.Ident[0], len(n.Ident) == 1
	case *parse.VariableNode:
		if len(n.Ident) == 2 && n.Ident[0] == "$" {
			return n.Ident[1], true
		}
	}
	return "", false
}

func (c checker) pipe(p *parse.PipeNode, root bool) error {
	if len(p.Decl) > 0 {
		return c.refuse(p, "variables are declared by range alone")
	}
	for _, cmd := range p.Cmds {
		for _, a := range cmd.Args {
			if err := c.arg(a, root); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c checker) arg(n parse.Node, root bool) error {
	switch n := n.(type) {
	case *parse.BoolNode, *parse.NumberNode, *parse.StringNode:
		return nil
	case *parse.IdentifierNode:
		if _, ok := functions[n.Ident]; ok {
			return nil
		}
	case *parse.PipeNode:
		return c.pipe(n, root)
	case *parse.DotNode:
		if !root {
			return nil
		}
		return c.refuse(n, "the dot is a value in range and with alone")
	case *parse.FieldNode:
		if !root {
			return c.refuse(n, "in range and with, variables are written $.name")
		}
		return c.variable(n, n.Ident)
	case *parse.VariableNode:
		switch {
		case n.Ident[0] == "$":
			return c.variable(n, n.Ident[1:])
		case len(n.Ident) == 1:
			return nil
		}
	}
	return c.refuse(n, "this is not for mails")
}

func (c checker) variable(n parse.Node, path []string) error {
	if len(path) != 1 {
		return c.refuse(n, "values have no fields")
	}
	if _, ok := c.vars[path[0]]; !ok {
		return c.refuse(n, "a variable that is not declared")
	}
	return nil
}

// maxWork is how many nodes a part may run through: milliseconds.
const maxWork = 200_000

// work is how many nodes are run at most with these values: lists are the only loops,
// and their lengths are known.
func work(l *parse.ListNode, values map[string]any) int {
	if l == nil {
		return 0
	}
	sum := 0
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			sum += pipeWork(n.Pipe) + work(n.List, values) + work(n.ElseList, values)
		case *parse.WithNode:
			sum += pipeWork(n.Pipe) + work(n.List, values) + work(n.ElseList, values)
		case *parse.RangeNode:
			name, _ := ranged(n.Pipe)
			items, _ := values[name].([]string)
			sum += 1 + len(items)*(1+work(n.List, values)) + work(n.ElseList, values)
		case *parse.ActionNode:
			sum += pipeWork(n.Pipe)
		default:
			sum++
		}
		if sum > maxWork {
			return maxWork + 1 // before it overflows
		}
	}
	return sum
}

func pipeWork(p *parse.PipeNode) int {
	sum := 1
	for _, cmd := range p.Cmds {
		for _, a := range cmd.Args {
			if sum++; a.Type() == parse.NodePipe {
				sum += pipeWork(a.(*parse.PipeNode))
			}
		}
	}
	return sum
}
