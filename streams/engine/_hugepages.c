/* Arenas of Python's small objects in pages of 2 MiB: see hugepages.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)2 << 20)
#define CHUNK (16 * PAGE)

static PyObjectArenaAllocator stock;
static char *unused, *end;    /* what was not given out yet of the last chunk */
static void **given_back;     /* arenas that were given back: each begins with the address of the next */
static size_t arena_size;     /* of all arenas: the interpreter asks for no other */

/* Address space costs nothing until it is touched; the first touch makes a huge page of it. */
static int take_chunk(void)
{
    char *start = mmap(NULL, CHUNK + PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return 0;
    unused = (char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1));
    end = unused + CHUNK;
    madvise(unused, CHUNK, MADV_HUGEPAGE);    /* where the kernel has none, pages stay small */
    return 1;
}

static void *give(void *Py_UNUSED(ctx), size_t size)
{
    if (!arena_size && size && CHUNK % size == 0)
        arena_size = size;
    if (size != arena_size)
        return stock.alloc(stock.ctx, size);
    if (given_back) {
        void **arena = given_back;
        given_back = *arena;
        return arena;
    }
    if (unused == end && !take_chunk())
        return NULL;
    unused += size;
    return unused - size;
}

/* Also arenas from before `install` come here: they are as good as others. */
static void take_back(void *Py_UNUSED(ctx), void *arena, size_t size)
{
    if (size != arena_size) {
        stock.free(stock.ctx, arena, size);
        return;
    }
    *(void **)arena = given_back;
    given_back = arena;
}

static PyObject *install(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    if (!stock.alloc) {
        PyObject_GetArenaAllocator(&stock);
        PyObjectArenaAllocator ours = {NULL, give, take_back};
        PyObject_SetArenaAllocator(&ours);
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"install", install, METH_NOARGS, "Take the arenas of small objects from huge pages from now on."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_hugepages", "Arenas in huge pages.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__hugepages(void)
{
    return PyModule_Create(&definition);
}
