// Small texts that outlive a reload: in the tab, or in the browser. Where a browser forbids both, in memory.

export const inTab = keeper(() => sessionStorage);
export const inBrowser = keeper(() => localStorage);

function keeper(open) {
  const area = opened(open);
  return {
    get: (name) => area.getItem(`writing-studio.${name}`),
    set: (name, value) => area.setItem(`writing-studio.${name}`, value),
    remove: (name) => area.removeItem(`writing-studio.${name}`),
  };
}

function opened(open) {
  try {
    const area = open();
    area.getItem("");
    return area;
  } catch {
    const memory = new Map();
    return {
      getItem: (name) => memory.get(name) ?? null,
      setItem: (name, value) => memory.set(name, value),
      removeItem: (name) => memory.delete(name),
    };
  }
}
