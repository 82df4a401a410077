% tci_cell (NUMBER, FILE, DIR) - runs a cell in the workspace that all cells share, and says how it went (kernel/session.h).
% tci_cell (NUMBER)            - says that it is over where that was not said, because it was interrupted.
% tci_cell ()                  - what is done once, before the first one.
function tci_cell (number, file, dir)
  persistent status;
  mlock ();  % "clear all" is no reason to forget where the kernel listens
  if (nargin == 0)
    status = getenv ("TCI_STATUS");
    unsetenv ("TCI_STATUS");
    set_up ();
    return;
  endif
  failed = nargin == 1;
  if (failed)  % no interrupt: then it is input () that has read this line
    say (status, "error input: there is nobody to answer input ()\n");
  endif
  if (nargin == 3)
    try
      evalin ("base", sprintf ("source ('%s');", file));
    catch e
      failed = true;
      say (status, "error %s: %s\n", name_of (e), strrep (e.message, "\n", " "));
    end_try_catch
    show_figures (status, dir);
  endif
  fflush (stdout);
  fflush (stderr);
  say (status, "exit %d %d\n", number, failed);
endfunction

function set_up ()
  warning ("off", "Octave:gnuplot-graphics");
  warning ("off", "Octave:gnuplot-toolkit");
  page_screen_output (false);
  set (0, "defaultfigurevisible", "off");
endfunction

function name = name_of (e)
  name = e.identifier;
  if (isempty (name))
    name = "error";
  endif
  name = strrep (name, ":", "-");
endfunction

function say (status, varargin)
  f = fopen (status, "w");
  fprintf (f, varargin{:});
  fclose (f);
endfunction

% All figures there are, in order; then they are closed, so that the next cell shows its own only.
function show_figures (status, dir)
  figures = sort (get (0, "children"));
  for i = 1:numel (figures)
    try
      path = fullfile (dir, sprintf ("figure%d.png", i));
      print (figures(i), path, "-dpng", "-r90");
      say (status, "image %s\n", path);
    catch e
      fprintf (stderr, "figure %d cannot be shown: %s\n", i, e.message);
    end_try_catch
    close (figures(i));
  endfor
endfunction
