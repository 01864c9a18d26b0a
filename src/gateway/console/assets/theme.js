// @ts-check
// Runs before anything is drawn: a flash of the light page would hurt in the dark.
{
  const theme = localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme
}
