(stored) => {
  if (!stored) return [];
  const { name, content } = JSON.parse(stored);
  const link = document.createElement("a");
  link.href = "data:image/png;base64," + content;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  return [];
}
