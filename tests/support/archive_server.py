"""A web server for archives that records its requests and can mimic the failures of real servers."""
import io
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    sent: int = 0  # bytes of the file


@dataclass
class ArchiveServer:
    """State of the server: ``files`` maps paths to contents; ``cuts`` lists after how many bytes GETs break off."""
    url: str = ''
    files: dict[str, bytes] = field(default_factory=dict)
    supports_range: bool = True
    version: dict[str, str] = field(default_factory=lambda: dict(ETag='"1"'))
    claimed_length: int | None = None  # in responses to HEAD
    cuts: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def gets(self):
        return [one for one in self.requests if one.method == 'GET']


def zipped(members):
    """Return the bytes of a zip file with the given names and contents, stored without compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@contextmanager
def running_server():
    server = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            request = Request(self.command, self.path, self.headers['Range'])
            server.requests.append(request)
            content = server.files.get(self.path)
            if content is None:
                return self.send_error(404)
            first = 0
            strong = [version for version in server.version.values() if not version.startswith('W/')]
            if server.supports_range and request.range and self.headers['If-Range'] in strong:
                first = int(request.range.removeprefix('bytes=').removesuffix('-'))
                if first >= len(content):
                    return self.send_error(416)
            self.send_response(206 if first else 200)
            if first:
                self.send_header('Content-Range', f'bytes {first}-{len(content) - 1}/{len(content)}')
            for name, value in server.version.items():
                self.send_header(name, value)
            length = len(content) - first
            if self.command == 'HEAD':
                length = server.claimed_length or length
            self.send_header('Content-Length', str(length))
            self.end_headers()
            if self.command == 'GET':
                rest = content[first:]
                rest = rest[:server.cuts.pop(0)] if server.cuts else rest
                self.wfile.write(rest)
                request.sent = len(rest)

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as listener:
        server.url = f'http://127.0.0.1:{listener.server_port}'
        thread = threading.Thread(target=listener.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True)
        thread.start()
        yield server
        listener.shutdown()
        thread.join()
