"""When and how loud a rendering is heard."""
