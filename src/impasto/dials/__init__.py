"""How a photograph and its painting are laid together: strength, strokes, colours and masks; no painter."""
