// @ts-check
// Before anything is drawn: a page that is light for a moment hurts in the dark.
{
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme
}
