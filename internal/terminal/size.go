package terminal

// DefaultSize is the size of a terminal that was opened without one.
var DefaultSize = Size{Cols: 80, Rows: 24}

// IsZero says that the viewer has no say in the size.
func (s Size) IsZero() bool { return s.Cols == 0 && s.Rows == 0 }

// Clamp returns the nearest size within the bounds.
func (s Size) Clamp() Size {
	return Size{Cols: min(max(s.Cols, 1), MaxCols), Rows: min(max(s.Rows, 1), MaxRows)}
}

// smallest returns the larger part that both sizes can show.
func (s Size) smallest(o Size) Size {
	return Size{Cols: min(s.Cols, o.Cols), Rows: min(s.Rows, o.Rows)}
}
