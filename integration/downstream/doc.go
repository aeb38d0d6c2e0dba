// Package downstream tests what users get with the module: a program in a module of its
// own, outside of the repository, that imports one package.
package downstream
