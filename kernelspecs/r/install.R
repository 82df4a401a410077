# install.R - packages of R, installed for a session: what metadata.tci.packages of kernel.json calls.
#
#     install.R TARGET [--dir DIRECTORY] [--index URL] -- NAME[VERSIONS]...
#
# DIRECTORY is the src/contrib of a repository, URL a whole one, as CRAN.  They are source packages: what of their code R runs to install
# them runs here, and what is to be compiled needs the host's compilers.

options(warn = 1, timeout = 300)

fail <- function(...) {
  message(...)
  quit(status = 1)
}

arguments <- commandArgs(trailingOnly = TRUE)
end <- match("--", arguments)
target <- arguments[1]
option <- function(name) arguments[which(arguments[seq_len(end)] == name) + 1]
places <- c(paste0("file://", option("--dir"), recycle0 = TRUE),
            paste0(sub("/+$", "", option("--index")), "/src/contrib", recycle0 = TRUE))
wanted <- arguments[-seq_len(end)]
pattern <- "^([A-Za-z][A-Za-z0-9.]*)((([<>=]=|[<>]|!=)[0-9.-]+,?)*)$"
if (any(bad <- !grepl(pattern, wanted)))
  fail(wanted[bad][1], ": of R packages a name, and ==, !=, >=, <=, > and < of a version can be asked for")
names <- sub(pattern, "\\1", wanted)
conditions <- strsplit(sub(pattern, "\\2", wanted), ",")

satisfies <- function(version, condition) {
  operator <- sub("^([<>=!]+).*", "\\1", condition)
  match.fun(operator)(numeric_version(version), numeric_version(sub("^[<>=!]+", "", condition)))
}

# Of the rows of a repository those that are not of a version which nobody wants.
among_wanted <- function(rows) {
  keep <- vapply(seq_len(nrow(rows)), function(i) {
    asked <- unlist(conditions[names == rows[i, "Package"]])
    all(vapply(asked, satisfies, TRUE, version = rows[i, "Version"]))
  }, TRUE)
  rows[keep, , drop = FALSE]
}

available <- available.packages(places, type = "source", filters = list("R_version", "OS_type", among_wanted, "duplicates"))
missing <- wanted[!names %in% rownames(available)]
if (length(missing) > 0) fail("There is no package ", paste(missing, collapse = ", "))
install.packages(names, lib = target, contriburl = places, available = available, type = "source")
for (name in names) {
  description <- suppressWarnings(packageDescription(name, lib.loc = target))
  if (!is.list(description)) fail(name, " was not installed")
  cat("Installed", name, description$Version, "\n")
}
