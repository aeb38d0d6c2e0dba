package mailtool

import (
	"fmt"
	"strings"
	"text/template/parse"
)

// functions are all that a template may call: none of them reaches out, formats with a
// width, or makes text that is not escaped.
var functions = map[string]any{"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true, "len": true}

// maxLoops is how deep lists may be in lists: html/template goes twice through what is
// in a range, and so 2^n times through the innermost of n.
const maxLoops = 3

// checker refuses a tree that holds anything that is not known to be harmless.
type checker struct {
	what string
	tree *parse.Tree
	vars map[string]string // type by name
}

// A scope is where in a tree something stands. In its root, the dot is the values;
// elsewhere it is one of them.
type scope struct {
	root  bool
	loops int
}

func (c checker) refuse(n parse.Node, format string, args ...any) error {
	where, _ := c.tree.ErrorContext(n)
	parts := strings.Split(where, ":") // name:line:column
	if len(parts) < 2 {
		return wrong("template", "%s: %s", c.what, fmt.Sprintf(format, args...))
	}
	return wrong("template", "%s, line %s: %s", c.what, parts[1], fmt.Sprintf(format, args...))
}

func (c checker) list(l *parse.ListNode, at scope) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if err := c.node(n, at); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) node(n parse.Node, at scope) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		return c.pipe(n.Pipe, at)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, c.pipe(n.Pipe, at), at, at)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, c.pipe(n.Pipe, at), scope{false, at.loops}, at)
	case *parse.RangeNode:
		if at.loops == maxLoops {
			return c.refuse(n, "too many lists within lists")
		}
		return c.branch(&n.BranchNode, c.rangePipe(n.Pipe, at), scope{false, at.loops + 1}, at)
	}
	return c.refuse(n, "this is not for mails")
}

func (c checker) branch(b *parse.BranchNode, err error, in, at scope) error {
	if err == nil {
		err = c.list(b.List, in)
	}
	if err == nil {
		err = c.list(b.ElseList, at)
	}
	return err
}

// rangePipe is the name of a list, as work relies on.
func (c checker) rangePipe(p *parse.PipeNode, at scope) error {
	if p.IsAssign {
		return c.refuse(p, "variables cannot be changed")
	}
	name, ok := ranged(p)
	if !ok || c.vars[name] != "list" {
		return c.refuse(p, "range is for a variable of type list alone")
	}
	return c.arg(p.Cmds[0].Args[0], at)
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

func (c checker) pipe(p *parse.PipeNode, at scope) error {
	if len(p.Decl) > 0 {
		return c.refuse(p, "variables are declared by range alone")
	}
	for _, cmd := range p.Cmds {
		for _, a := range cmd.Args {
			if err := c.arg(a, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c checker) arg(n parse.Node, at scope) error {
	switch n := n.(type) {
	case *parse.BoolNode, *parse.NumberNode, *parse.StringNode:
		return nil
	case *parse.IdentifierNode:
		if _, ok := functions[n.Ident]; ok {
			return nil
		}
	case *parse.PipeNode:
		return c.pipe(n, at)
	case *parse.DotNode:
		if !at.root {
			return nil
		}
		return c.refuse(n, "the dot is a value in range and with alone")
	case *parse.FieldNode:
		if !at.root {
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
