/* scan_import.h - import statements: which modules, and what their names are in the code.  Part of scan.h. */
#ifndef GATEWAY_SCAN_IMPORT_H
#define GATEWAY_SCAN_IMPORT_H

struct scanner;

/* At the token `import`, or `from`; what follows the statement is the token then. */
void scanner_read_import(struct scanner *);
void scanner_read_from(struct scanner *);

#endif
