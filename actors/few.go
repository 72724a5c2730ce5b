package actors

// few is a list that is empty for nearly everybody: then it takes one word instead of three.
// The zero value is empty.
type few[T any] struct{ list *[]T } // nil, or with something in it

func fewOf[T any](list []T) few[T] {
	if len(list) == 0 {
		return few[T]{}
	}
	own := list // so that the empty one costs nothing
	return few[T]{&own}
}

func (f *few[T]) none() bool { return f.list == nil }

// all is what is in the list, to be read.
func (f *few[T]) all() []T {
	if f.list == nil {
		return nil
	}
	return *f.list
}

func (f *few[T]) add(v T) {
	if f.list == nil {
		f.list = new([]T)
	}
	*f.list = append(*f.list, v)
}

// take empties the list.
func (f *few[T]) take() []T {
	list := f.all()
	f.list = nil
	return list
}
