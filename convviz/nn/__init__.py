"""The same stacks in torch. No Qt; imported only when a page needs it."""
