@echo off
rem The command "upcall" of a checkout on Windows: .\upcall.cmd run monitor
if not exist "%~dp0dist\bundle\upcall.js" (
  echo upcall is not built yet. Run "npm ci" first; it installs the dependencies and builds. 1>&2
  exit /b 1
)
node "%~dp0dist\bundle\upcall.js" %*
