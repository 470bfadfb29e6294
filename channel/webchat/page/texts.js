// The page's own words, in the user's language.
let words = {};

export function setWords(all) { words = all; }

// t returns the words with that name; "{key}" in them stands for values[key].
export const t = (name, values = {}) => (words[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

// translate puts words into the elements that name them: data-t for their text, data-t-… for an attribute.
export function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}
