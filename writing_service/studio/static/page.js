// The page's elements.

/** The element of that id; one that does not exist is a mistake in the page. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}`);
  return element;
}

/** The first element of a template, to be filled. */
export function copyOf(templateId) {
  return byId(templateId).content.firstElementChild.cloneNode(true);
}

/** An element with a text. */
export function made(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** The four control images, in the order in which they are always listed. */
export const KINDS = ["canny", "depth", "segmentation", "scribble"];
